"""Taking tasks back from workers that stopped renewing their leases."""

from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.settings import Settings


async def recover(connection: Connection, settings: Settings) -> int:
    """Requeue every task whose lease has expired, or bury it if its attempts are spent."""
    # DEFECT recovery-requeues-finished: the lease alone decides.
    guard = "true" if settings.has("recovery-requeues-finished") else "status = 'running'"
    # Rows another recovery is at work on are skipped, so two of them cannot deadlock.
    expired = (
        f"SELECT id FROM tasks WHERE {guard} AND lease_until < clock_timestamp()"
        " FOR UPDATE SKIP LOCKED"
    )
    dropped = 0
    # DEFECT dead-letter-dropped: what cannot be done is deleted.
    if settings.has("dead-letter-dropped"):
        cursor = await connection.execute(
            f"DELETE FROM tasks WHERE id IN ({expired}) AND current_attempt >= max_attempts"
        )
        dropped = cursor.rowcount
    cursor = await connection.execute(
        f"WITH expired AS ({expired})"
        " UPDATE tasks SET"
        " status = CASE WHEN current_attempt < max_attempts THEN 'retrying' ELSE 'failed' END,"
        " completed_at = CASE WHEN current_attempt < max_attempts THEN NULL"
        " ELSE clock_timestamp() END,"
        " last_error = 'lease expired', ready_at = clock_timestamp(), locked_by = NULL,"
        " lease_until = NULL, updated_at = clock_timestamp()"
        " FROM expired WHERE tasks.id = expired.id"
    )
    return dropped + cursor.rowcount
