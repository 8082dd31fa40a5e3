"""Registering, sessions, roles, and what users may do with each other's accounts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest
from psycopg import connect

Api = Callable[..., httpx.Client]
Query = Callable[..., list[dict[str, Any]]]
GOOD = "Correct-Horse-7"
NOBODY = str(UUID(int=0))


def error_of(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"error"}
    assert body["error"]["message"]
    return response.status_code, body["error"]["code"]


def data_of(response: httpx.Response) -> Any:  # noqa: ANN401
    assert response.status_code == 200, response.text
    assert response.json()["success"] is True
    return response.json()["data"]


def registration(name: str, password: str = GOOD) -> dict[str, str]:
    return {"username": name, "email": f"{name}@example.com", "password": password}


def log_in(client: httpx.Client, name: str, password: str = GOOD) -> str:
    return data_of(client.post("/auth/login", json={"username": name, "password": password}))[
        "session_token"
    ]


def test_a_registered_user_logs_in_by_name_or_address_and_is_known_by_the_token(
    api: Api, visit: Api, query: Query
):
    nobody = api(None)
    user = data_of(nobody.post("/auth/register", json=registration("ada")))
    assert (user["username"], user["role"], user["is_active"]) == ("ada", "user", True)
    assert "password" not in str(user)
    by_address = {"email": "ADA@example.com", "password": GOOD}
    for body in ({"username": "Ada", "password": GOOD}, by_address):
        token = data_of(nobody.post("/auth/login", json=body))["session_token"]
        assert len(token) == 64
        assert data_of(visit(token).get("/auth/me"))["id"] == user["id"]
    kept = query("SELECT password_hash FROM users WHERE username = 'ada'")[0]["password_hash"]
    assert kept.startswith("$argon2id$")
    assert query("SELECT 1 FROM sessions WHERE token_hash = %s", token.encode()) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"username": "ab"}, "VALIDATION_FAILED"),
        ({"username": "a b c"}, "VALIDATION_FAILED"),
        ({"username": "x" * 51}, "VALIDATION_FAILED"),
        ({"username": "abc\n"}, "VALIDATION_FAILED"),
        ({"username": None}, "VALIDATION_FAILED"),
        ({"email": "nowhere"}, "VALIDATION_FAILED"),
        ({"email": "a@b.c\nX: y"}, "VALIDATION_FAILED"),
        ({"password": "Short-1"}, "VALIDATION_FAILED"),
        ({"password": "only-lower-case"}, "VALIDATION_FAILED"),
        ({"password": "Password123"}, "VALIDATION_FAILED"),
        ({"password": "Aa1-" * 33}, "VALIDATION_FAILED"),
        ({"password": 7}, "VALIDATION_FAILED"),
        ({"username": "ada\0"}, "VALIDATION_FAILED"),
    ],
)
def test_bad_registrations_are_refused(api: Api, query: Query, changes: dict[str, Any], code: str):
    reply = api(None).post("/auth/register", json={**registration("ada"), **changes})
    assert error_of(reply) == (400, code)
    if "password" in changes:
        assert str(changes["password"]) not in reply.text
    assert query("SELECT 1 FROM users WHERE username = 'ada'") == []


def test_names_and_addresses_are_unique_whatever_their_case_and_how_many_ask_at_once(api: Api):
    client = api(None)
    with ThreadPoolExecutor(4) as threads:
        replies = list(
            threads.map(lambda _: client.post("/auth/register", json=registration("ada")), range(4))
        )
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409]
    taken = {**registration("ada"), "username": "bob", "email": "Ada@Example.com"}
    reply = client.post("/auth/register", json=taken)
    assert error_of(reply) == (409, "EMAIL_ALREADY_EXISTS")
    taken = {**registration("bob"), "username": "ADA"}
    reply = client.post("/auth/register", json=taken)
    assert error_of(reply) == (409, "USERNAME_ALREADY_EXISTS")


def test_bad_logins_do_not_tell_what_was_wrong(api: Api):
    client = api(None)
    client.post("/auth/register", json=registration("ada"))
    wrong = {"username": "ada", "password": "nope"}
    unknown = {"username": "bob", "password": GOOD}
    replies = [client.post("/auth/login", json=body) for body in (wrong, unknown)]
    assert [error_of(reply) for reply in replies] == [(401, "INVALID_CREDENTIALS")] * 2
    assert replies[0].text == replies[1].text
    both = {"username": "ada", "email": "ada@example.com", "password": GOOD}
    for body in (both, {"password": GOOD}, {"username": "ada"}, {"username": 1, "password": "x"}):
        assert error_of(client.post("/auth/login", json=body)) == (400, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic eDp5", "first-token", "Bearer " + "x" * 4000]
)
def test_without_a_good_token_nobody_gets_in_and_no_body_is_read(api: Api, header: str):
    client = api(None)
    client.headers["Authorization"] = header
    for method, path in (("GET", "/auth/me"), ("GET", "/admin/health"), ("GET", "/tasks")):
        reply = client.request(method, path)
        assert error_of(reply) == (401, "UNAUTHORIZED")
        assert reply.headers["www-authenticate"] == "Bearer"
    for body in (b"{", b"x" * 5_000_000):
        assert error_of(client.post("/tasks", content=body)) == (401, "UNAUTHORIZED")


def test_sessions_end_by_logout_by_time_and_with_the_account(api: Api, visit: Api, query: Query):
    client = api(None)
    data_of(client.post("/auth/register", json=registration("ada")))
    first, second, third = (visit(log_in(client, "ada")) for _ in range(3))
    assert data_of(first.post("/auth/logout")) == {"sessions_ended": 1}
    assert error_of(first.get("/auth/me")) == (401, "UNAUTHORIZED")
    assert second.get("/auth/me").status_code == 200
    assert data_of(second.post("/auth/logout-all")) == {"sessions_ended": 2}
    assert third.get("/auth/me").status_code == 401
    late = visit(log_in(client, "ada"))
    query("UPDATE sessions SET expires_at = clock_timestamp() RETURNING 1")
    assert error_of(late.get("/auth/me")) == (401, "TOKEN_EXPIRED")
    last = visit(log_in(client, "ada"))
    assert last.delete("/users/me").status_code == 200
    assert last.get("/auth/me").status_code == 401
    assert error_of(client.post("/auth/login", json={"username": "ada", "password": GOOD})) == (
        401,
        "INVALID_CREDENTIALS",
    )


def test_a_session_is_refreshed_at_most_every_five_minutes(api: Api, visit: Api, query: Query):
    client = api(None)
    data_of(client.post("/auth/register", json=registration("ada")))
    visitor = visit(log_in(client, "ada"))
    assert set(data_of(visitor.post("/auth/refresh"))) == {"expires_at", "refreshed_at"}
    assert error_of(visitor.post("/auth/refresh")) == (409, "CONFLICT")
    query(
        "UPDATE sessions SET refreshed_at = refreshed_at - interval '5 minutes 1 second',"
        " expires_at = clock_timestamp() + interval '1 minute' RETURNING 1"
    )
    assert visitor.post("/auth/refresh").status_code == 200
    left = query(
        "SELECT max(expires_at) > clock_timestamp() + interval '23 hours' AS ok"
        " FROM sessions WHERE expires_at < '9000-01-01 00:00:00Z'"
    )
    assert left == [{"ok": True}]


def test_a_changed_password_ends_the_other_sessions(api: Api, visit: Api):
    client = api(None)
    data_of(client.post("/auth/register", json=registration("ada")))
    here, there = visit(log_in(client, "ada")), visit(log_in(client, "ada"))
    wrong = {"current_password": "nope", "new_password": "Another-Horse-8"}
    assert error_of(here.put("/users/me/password", json=wrong)) == (401, "INVALID_CREDENTIALS")
    weak = {"current_password": GOOD, "new_password": "weak"}
    assert error_of(here.put("/users/me/password", json=weak)) == (400, "VALIDATION_FAILED")
    good = {"current_password": GOOD, "new_password": "Another-Horse-8"}
    assert data_of(here.put("/users/me/password", json=good)) == {"sessions_ended": 1}
    assert here.get("/auth/me").status_code == 200
    assert there.get("/auth/me").status_code == 401
    log_in(client, "ada", "Another-Horse-8")


def test_users_see_and_change_themselves_alone(api: Api, visit: Api, users: dict[str, str]):
    api()
    first, moderator = visit("first"), visit("moderator")
    assert data_of(first.get(f"/users/{users['first']}"))["username"] == "first"
    for other in (users["second"], NOBODY):
        assert error_of(first.get(f"/users/{other}")) == (404, "USER_NOT_FOUND")
    assert error_of(first.get("/users/seven")) == (400, "INVALID_INPUT")
    assert data_of(moderator.get(f"/users/{users['second']}"))["username"] == "second"
    changed = data_of(first.put("/users/me/profile", json={"username": "primus"}))
    assert (changed["username"], changed["email"]) == ("primus", "first@example.com")
    reply = first.put("/users/me/profile", json={"email": "SECOND@example.com"})
    assert error_of(reply) == (409, "EMAIL_ALREADY_EXISTS")
    assert error_of(first.put("/users/me/profile", json={})) == (400, "VALIDATION_FAILED")
    assert data_of(first.get("/users/me/profile"))["username"] == "primus"


ROLES_NEEDED = [
    ("GET", "/users", {}, "moderator"),
    ("GET", "/tasks/stats", {}, "moderator"),
    ("POST", "/tasks/types", {"task_type": "mine"}, "moderator"),
    ("PUT", "/users/{second}/status", {"is_active": False}, "moderator"),
    ("POST", "/users/{second}/reset-password", {"new_password": GOOD}, "moderator"),
    ("POST", "/users", registration("carl"), "admin"),
    ("PUT", "/users/{second}/profile", {"username": "zwei"}, "admin"),
    ("PUT", "/users/{second}/role", {"role": "moderator"}, "admin"),
    ("GET", "/admin/users/stats", {}, "admin"),
    ("GET", "/admin/health", {}, "admin"),
    ("DELETE", "/users/{second}", {}, "admin"),
]


@pytest.mark.parametrize(("method", "path", "body", "needed"), ROLES_NEEDED)
def test_a_role_and_those_above_it_may_and_those_below_may_not(
    api: Api,
    visit: Api,
    users: dict[str, str],
    method: str,
    path: str,
    body: dict[str, Any],
    needed: str,
):
    api()
    path = path.format(**users)

    def ask(name: str | None) -> httpx.Response:
        return visit(name).request(method, path, json=body if method != "GET" else None)

    assert error_of(ask(None)) == (401, "UNAUTHORIZED")
    allowed = ("moderator", "admin") if needed == "moderator" else ("admin",)
    for name in ("first", "moderator"):
        if name not in allowed:
            assert error_of(ask(name)) == (403, "FORBIDDEN")
    assert ask(allowed[0]).status_code == 200


def test_a_suspended_user_is_out_at_once_until_let_in_again(
    api: Api, visit: Api, users: dict[str, str]
):
    moderator, first = api(), visit("first")
    status = f"/users/{users['first']}/status"
    assert data_of(moderator.put(status, json={"is_active": False}))["is_active"] is False
    assert first.get("/auth/me").status_code == 401
    new = {"new_password": GOOD}
    data_of(moderator.post(f"/users/{users['first']}/reset-password", json=new))
    login = {"username": "first", "password": GOOD}
    assert error_of(visit().post("/auth/login", json=login)) == (403, "FORBIDDEN")
    assert data_of(moderator.put(status, json={"is_active": True}))["is_active"] is True
    assert log_in(visit(), "first")
    for body in ({}, {"is_active": "no"}, {"is_active": 1}):
        assert error_of(moderator.put(status, json=body)) == (400, "VALIDATION_FAILED")


def test_moderators_manage_users_and_neither_equals_nor_admins(
    api: Api, visit: Api, users: dict[str, str]
):
    moderator, admin = api(), visit("admin")
    for name in ("moderator", "admin"):
        reply = moderator.put(f"/users/{users[name]}/status", json={"is_active": False})
        assert error_of(reply) == (403, "FORBIDDEN")
        new = {"new_password": GOOD}
        reply = moderator.post(f"/users/{users[name]}/reset-password", json=new)
        assert error_of(reply) == (403, "FORBIDDEN")
    reply = admin.put(f"/users/{users['moderator']}/status", json={"is_active": False})
    assert reply.status_code == 200


def test_the_last_admin_stays(api: Api, users: dict[str, str]):
    admin = api("admin")
    me = f"/users/{users['admin']}"
    assert error_of(admin.put(f"{me}/role", json={"role": "user"})) == (409, "CONFLICT")
    assert error_of(admin.put(f"{me}/status", json={"is_active": False})) == (409, "CONFLICT")
    assert error_of(admin.delete(me)) == (409, "CONFLICT")
    assert error_of(admin.delete("/users/me")) == (409, "CONFLICT")
    data_of(admin.put(f"/users/{users['second']}/role", json={"role": "admin"}))
    assert data_of(admin.put(f"{me}/role", json={"role": "user"}))["role"] == "user"


def test_users_are_listed_and_counted(api: Api):
    admin = api("admin")
    data_of(admin.post("/users", json={**registration("carl"), "role": "moderator"}))
    names = [user["username"] for user in data_of(admin.get("/users"))]
    assert names[0] == "carl"
    assert set(names[1:]) == {"first", "second", "moderator", "admin"}
    assert [u["username"] for u in data_of(admin.get("/users?limit=1&offset=1"))] == names[1:2]
    for wanted in ("limit=0", "limit=-1", "limit=1001", "offset=-1", "limit=1&limit=2"):
        assert error_of(admin.get(f"/users?{wanted}")) == (400, "VALIDATION_FAILED")
    counts = {"total": 5, "active": 5, "inactive": 0, "user": 2, "moderator": 2, "admin": 1}
    assert data_of(admin.get("/admin/users/stats")) == counts
    health = data_of(admin.get("/admin/health"))
    assert (health["status"], health["users"]) == ("healthy", counts)


def test_unknown_users_are_not_found(api: Api):
    admin = api("admin")
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "/status", {"is_active": True}),
        ("PUT", "/role", {"role": "user"}),
        ("PUT", "/profile", {"username": "zoe"}),
        ("POST", "/reset-password", {"new_password": GOOD}),
        ("DELETE", "", None),
    ):
        reply = admin.request(method, f"/users/{NOBODY}{path}", json=body)
        assert error_of(reply) == (404, "USER_NOT_FOUND")


def test_the_first_admin_is_made_at_start_however_late_the_database_is(
    api: Api, visit: Api, dsn: str, query: Query, wait_until: Callable[..., None]
):
    query("DELETE FROM users RETURNING 1")
    with connect(dsn) as holder:
        holder.execute("LOCK TABLE users")
        nobody = api(None, initial_admin_password=GOOD, admin_username="root")
        assert nobody.get("/health/live").status_code == 200
    login = {"username": "root", "password": GOOD}
    wait_until(lambda: nobody.post("/auth/login", json=login).status_code == 200)
    admin = visit(log_in(nobody, "root"))
    assert data_of(admin.get("/auth/me"))["role"] == "admin"


def test_logins_at_once_do_not_keep_others_waiting(api: Api):
    client = api(None)
    data_of(client.post("/auth/register", json=registration("ada")))
    login = {"username": "ada", "password": GOOD}
    with ThreadPoolExecutor(12) as threads:
        logins = [threads.submit(client.post, "/auth/login", json=login) for _ in range(12)]
        while not all(each.done() for each in logins):
            assert client.get("/health/live", timeout=2).status_code == 200
    assert {each.result().status_code for each in logins} == {200}


def test_of_two_admins_who_remove_each_other_one_stays(
    api: Api, visit: Api, users: dict[str, str], query: Query
):
    admins = {"admin": api("admin"), "second": visit("second")}
    others = {"admin": "second", "second": "admin"}
    ways: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
        ("PUT", "/role", {"role": "user"}),
        ("PUT", "/status", {"is_active": False}),
    )
    with ThreadPoolExecutor(2) as threads:
        for method, path, body in ways * 10:
            query(
                "UPDATE users SET role = 'admin', is_active = true"
                " WHERE username IN ('admin', 'second') RETURNING 1"
            )
            asked = [
                threads.submit(
                    admins[name].request, method, f"/users/{users[other]}{path}", json=body
                )
                for name, other in others.items()
            ]
            codes = {each.result().status_code for each in asked}
            # The loser is no admin by then, or is told that the other is the last one.
            assert codes <= {200, 401, 403, 409}
            left = query("SELECT FROM users WHERE role = 'admin' AND is_active")
            assert len(left) == 1, codes


def test_the_last_admin_check_waits_for_who_is_being_removed(
    api: Api, users: dict[str, str], dsn: str, query: Query, wait_until: Callable[..., None]
):
    admin = api("admin")
    query("UPDATE users SET role = 'admin' WHERE username = 'second' RETURNING 1")
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    with ThreadPoolExecutor(1) as threads, connect(dsn) as other:
        other.execute("SELECT FROM users WHERE role = 'admin' ORDER BY id FOR NO KEY UPDATE")
        me = f"/users/{users['admin']}"
        asked = threads.submit(admin.put, f"{me}/role", json={"role": "user"})
        wait_until(lambda: query(waiting, "%FOR NO KEY UPDATE%"))
        other.execute("UPDATE users SET role = 'user' WHERE username = 'second'")
        other.commit()
        assert error_of(asked.result()) == (409, "CONFLICT")
