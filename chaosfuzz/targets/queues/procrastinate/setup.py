"""Creates the schema of procrastinate: `setup.py DSN`."""

import sys

from procrastinate import App, SyncPsycopgConnector

if __name__ == "__main__":
    with App(connector=SyncPsycopgConnector(conninfo=sys.argv[1])).open() as app:
        app.schema_manager.apply_schema()
