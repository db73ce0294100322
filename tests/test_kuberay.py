"""The manifest for KubeRay: its pods by Kubernetes' own schema, the rest by what the RayJob resource takes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

MANIFEST = Path(__file__).parent.parent / "examples" / "kuberay.yaml"

_PARAMS = {"type": "object", "additionalProperties": {"type": "string"}}
_COUNT = {"type": "integer", "minimum": 0}


def _only(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


# Fields of ray.io/v1 as the KubeRay API reference gives them; those that the manifest has no use for are left out.
RAY_JOB = _only(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=_only(["name"], name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}),
    spec=_only(
        ["entrypoint", "rayClusterSpec"],
        entrypoint={"type": "string", "minLength": 1},
        shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=_COUNT,
        activeDeadlineSeconds=_COUNT,
        runtimeEnvYAML={"type": "string"},
        rayClusterSpec=_only(
            ["headGroupSpec"],
            rayVersion={"type": "string"},
            enableInTreeAutoscaling={"type": "boolean"},
            headGroupSpec=_only(["template"], rayStartParams=_PARAMS, template={"type": "object"}),
            workerGroupSpecs={
                "type": "array",
                "items": _only(
                    ["groupName", "template"],
                    groupName={"type": "string"},
                    replicas=_COUNT,
                    minReplicas=_COUNT,
                    maxReplicas=_COUNT,
                    rayStartParams=_PARAMS,
                    template={"type": "object"},
                ),
            },
        ),
    ),
)


@pytest.fixture(scope="module")
def manifest() -> Any:
    return yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))


def pod_specs(manifest: Any) -> list[Any]:
    cluster = manifest["spec"]["rayClusterSpec"]
    return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def test_the_job_has_only_fields_that_kuberay_knows(manifest: Any) -> None:
    assert [error.message for error in Draft202012Validator(RAY_JOB).iter_errors(manifest)] == []
    wrong = {**manifest, "spec": {**manifest["spec"], "entryPoint": "x"}}
    assert list(Draft202012Validator(RAY_JOB).iter_errors(wrong))


def test_its_pods_are_what_kubernetes_takes(manifest: Any) -> None:
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec} for spec in pod_specs(manifest)
    ]
    assert len(pods) == 2
    for pod in pods:
        kubernetes_validate.validate(pod, "1.31", strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**pods[0], "spec": {"containers": "none"}}, "1.31", strict=True)


def test_its_command_is_one_that_unitune_has(manifest: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from unitune.cli.app import app

    seen: dict[str, Any] = {}
    monkeypatch.setattr("unitune.tuner.tune", lambda table, **options: seen.update(options, table=table) or 1 / 0)
    program, *arguments = shlex.split(manifest["spec"]["entrypoint"])
    CliRunner().invoke(app, arguments)
    assert program == "unitune"
    assert seen["executor"].address == "auto"
    assert str(seen["table"]).startswith("/data/")
