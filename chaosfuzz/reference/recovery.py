"""Recovery of tasks whose leases have expired."""

from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.settings import Settings

# A task goes back to the queue, or to the dead letters if it has no attempts left.
QUEUED_OR_FAILED = (
    "status = CASE WHEN current_attempt < max_attempts THEN 'retrying' ELSE 'failed' END,"
    " completed_at = CASE WHEN current_attempt < max_attempts THEN NULL"
    " ELSE clock_timestamp() END"
)


async def recover(connection: Connection, settings: Settings) -> int:
    """Take every task whose lease has expired from its worker; return how many.

    A task with attempts left is retried at once, others become dead letters.
    """
    # DEFECT recovery-requeues-finished: the status of the task is not looked at.
    guard = "true" if settings.has("recovery-requeues-finished") else "status = 'running'"
    # Rows that another worker's recovery has locked are skipped, so the two cannot deadlock.
    expired = (
        f"SELECT id FROM tasks WHERE {guard} AND lease_until < clock_timestamp()"
        " FOR UPDATE SKIP LOCKED"
    )
    dropped = 0
    # DEFECT dead-letter-dropped: tasks without attempts left are deleted.
    if settings.has("dead-letter-dropped"):
        cursor = await connection.execute(
            f"DELETE FROM tasks WHERE id IN ({expired}) AND current_attempt >= max_attempts"
        )
        dropped = cursor.rowcount
    cursor = await connection.execute(
        f"WITH expired AS ({expired})"
        f" UPDATE tasks SET {QUEUED_OR_FAILED},"
        " last_error = 'lease expired', ready_at = clock_timestamp(), locked_by = NULL,"
        " lease_until = NULL, updated_at = clock_timestamp()"
        " FROM expired WHERE tasks.id = expired.id"
    )
    return dropped + cursor.rowcount
