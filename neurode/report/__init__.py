"""Floor 8: results drawn. Pictures, and one self-contained HTML file."""

from neurode.report.comparison.comparison_report import write_comparison_report
from neurode.report.page import Page
from neurode.report.picture import Picture, write_png
from neurode.report.series_report import write_series_report
from neurode.report.text.text_report import write_text_report

__all__ = ["Page", "Picture", "write_comparison_report", "write_png", "write_series_report", "write_text_report"]
