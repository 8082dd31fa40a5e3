"""Whose tasks are seen and touched by whom."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

Api = Callable[..., httpx.Client]
Create = Callable[..., str]
GOOD: dict[str, Any] = {"task_type": "probe", "payload": {}}


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [task["id"] for task in response.json()["data"]]


def test_a_task_belongs_to_whoever_created_it(api: Api, visit: Api, users: dict[str, str]):
    api()
    task = visit("first").post("/tasks", json=GOOD).json()["data"]
    assert task["created_by"] == users["first"]


def test_nobody_else_but_moderators_gets_at_a_task(
    api: Api, visit: Api, create: Create, users: dict[str, str]
):
    api()
    second, moderator = visit("second"), visit("moderator")
    waiting, failed = (
        create(created_by=users["first"], status=status) for status in ("pending", "failed")
    )
    for method, path in (
        ("GET", waiting),
        ("POST", f"{waiting}/cancel"),
        ("POST", f"{failed}/retry"),
        ("DELETE", failed),
    ):
        reply = second.request(method, f"/tasks/{path}")
        assert reply.status_code == 404
        assert reply.json()["error"]["code"] == "TASK_NOT_FOUND"
        same = second.request(method, f"/tasks/{path.replace(path[:36], str(uuid4()))}")
        assert same.text == reply.text
    assert ids(second.get("/tasks")) == []
    assert sorted(ids(moderator.get("/tasks"))) == sorted([waiting, failed])
    assert moderator.post(f"/tasks/{waiting}/cancel").status_code == 200


def test_a_page_is_full_of_ones_own_however_many_others_have(
    api: Api, visit: Api, create: Create, users: dict[str, str]
):
    api()
    mine = [create(created_by=users["first"], status="failed") for _ in range(3)]
    for _ in range(6):
        create(created_by=users["second"], status="failed")
    first = visit("first")
    for path in ("/tasks", "/tasks?status=failed", "/tasks/dead-letter"):
        mark = "&" if "?" in path else "?"
        assert ids(first.get(f"{path}{mark}limit=2")) == mine[:0:-1]
        assert ids(first.get(f"{path}{mark}limit=2&offset=2")) == mine[:1]


def test_a_key_is_its_users_own(api: Api, visit: Api):
    api()
    headers = {"Idempotency-Key": "order-7"}
    made = [
        visit(name).post("/tasks", json=GOOD, headers=headers).json()["data"]["id"]
        for name in ("first", "second", "first")
    ]
    assert made[0] == made[2] != made[1]


def test_tasks_outlive_their_user(api: Api, visit: Api):
    moderator = api()
    task = visit("first").post("/tasks", json=GOOD).json()["data"]["id"]
    assert visit("first").delete("/users/me").status_code == 200
    left = moderator.get(f"/tasks/{task}").json()["data"]
    assert (left["id"], left["created_by"]) == (task, None)


def test_types_are_read_by_anybody_and_added_by_moderators(api: Api, visit: Api):
    moderator = api()
    assert "email" in {each["task_type"] for each in visit().get("/tasks/types").json()["data"]}
    assert visit().post("/tasks/types", json={"task_type": "mine"}).status_code == 401
    assert visit("first").post("/tasks/types", json={"task_type": "mine"}).status_code == 403
    assert moderator.post("/tasks/types", json={"task_type": "mine"}).status_code == 200
