"""What is written about scenarios: Markdown, JSON, JUnit, timelines."""

from chaosfuzz.reporting.scenarios.document import SCHEMA, to_json
from chaosfuzz.reporting.scenarios.files import write_reports
from chaosfuzz.reporting.scenarios.markdown import to_markdown
from chaosfuzz.reporting.scenarios.table import rows

__all__ = ["SCHEMA", "rows", "to_json", "to_markdown", "write_reports"]
