"""A run on disk: its records as tables, and the folder that holds them."""

from unitune.store.folder import check_folder, load_probes, load_run, save_beside, save_files
from unitune.store.members import MemberBlock, history_table, member_table, probe_table
from unitune.store.predictions import gather, load_predictions, write_predictions
from unitune.store.run import Run, trials_table

__all__ = [
    "MemberBlock",
    "Run",
    "check_folder",
    "gather",
    "history_table",
    "load_predictions",
    "load_probes",
    "load_run",
    "member_table",
    "probe_table",
    "save_beside",
    "save_files",
    "trials_table",
    "write_predictions",
]
