"""procrastinate with psycopg; worker and producer are programs of this package."""
