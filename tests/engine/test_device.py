"""What an accelerator's memory means for tiles and for workers that share it; a fake tool stands in for NVIDIA's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from unitune.engine import device


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ncase "$*" in *--id=1*) echo 8192;; *) echo 16384; echo 8192;; esac\n', encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_tiles_are_as_large_as_the_smallest_memory_allows(nvidia_smi: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "accelerators", lambda backend: ("gpu:0", "gpu:1"))
    found = device.this_device("jax")
    assert found.places == ("gpu:0", "gpu:1")
    assert found.threads == 4
    assert found.tile_bytes == 8192 * 2**20 // 16


def test_one_accelerator_is_left_to_the_backend(nvidia_smi: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "accelerators", lambda backend: ("gpu:0",))
    assert (device.this_device("jax").places, device.this_device("jax").threads) == ((), 2)


def test_only_visible_memory_counts(nvidia_smi: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert device.gpu_memory_mib() == [16384, 8192]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert device.gpu_memory_mib() == [8192]


def test_without_the_tool_no_memory_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert device.gpu_memory_mib() == []


def test_a_share_of_a_gpu_is_a_share_of_its_memory(nvidia_smi: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "")
    device.limit_memory("jax", 0.5)
    assert float(os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"]) == pytest.approx(0.475)

    tf: Any = pytest.importorskip("tensorflow")
    limits = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["first", "second"])
    monkeypatch.setattr(
        tf.config, "set_logical_device_configuration", lambda gpu, one: limits.append((gpu, one[0].memory_limit))
    )
    device.limit_memory("tensorflow", 0.25)
    assert limits == [("first", int(16384 * 0.2375)), ("second", int(8192 * 0.2375))]
