"""Reports on scenarios: Markdown, JSON, JUnit XML, timelines."""

from chaosfuzz.reporting.scenarios.files import SCHEMA, to_json, write_reports
from chaosfuzz.reporting.scenarios.markdown import to_markdown
from chaosfuzz.reporting.scenarios.table import rows

__all__ = ["SCHEMA", "rows", "to_json", "to_markdown", "write_reports"]
