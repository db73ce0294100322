"""The report: one self-contained page of HTML. It opens offline, in light and dark, on a phone and on paper."""

from unitune.report.page.build import page

__all__ = ["page"]
