"""procrastinate with psycopg; its programs run in the component's own process."""
