"""Makes the databases that Keystone and Glance start from, without a server: Keystone runs inside this program.

usage: template.py DIRECTORY

In it then: domain egi; projects ops, dteam, publisher; users publisher (member of publisher), ops-user, dteam-user (members of
theirs), reader (reader of publisher), nobody (no role), admin (of all); application credentials of publisher: vmcatcher (member)
and readonly (reader); quotas, which count only where Glance asks for them. made.json has all ids.
"""

import getpass
import grp
import json
import os
import pathlib
import subprocess
import sys

import settings

PEOPLE = {"publisher": "publisher", "ops-user": "ops", "dteam-user": "dteam", "reader": "publisher", "nobody": None}
# In MiB, and in images.
LIMITS = {"image_size_total": 20480, "image_stage_total": 20480, "image_count_total": 1000, "image_count_uploading": 100}


def manage(program, configuration, *arguments):
    path = pathlib.Path(sys.prefix) / "bin" / program
    done = subprocess.run([path, "--config-file", configuration, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} {arguments}: {done.stdout}{done.stderr}")


def prepare(work):
    for folder in ("keystone", "glance/store", "glance/staging", "glance/tasks"):
        (work / folder).mkdir(parents=True)
    settings.write_keystone(work)
    settings.write_glance(work, settings.KEYSTONE, settings.GLANCE, "none", False)
    keystone = work / "keystone/keystone.conf"
    owner = ("--keystone-user", getpass.getuser(), "--keystone-group", grp.getgrgid(os.getgid()).gr_name)
    manage("keystone-manage", keystone, "db_sync")
    manage("keystone-manage", keystone, "fernet_setup", *owner)
    manage("keystone-manage", keystone, "credential_setup", *owner)
    urls = [part for kind in ("admin", "internal", "public") for part in (f"--bootstrap-{kind}-url", f"{settings.KEYSTONE}/v3")]
    bootstrap = ("--bootstrap-password", settings.PASSWORD, "--bootstrap-region-id", settings.REGION)
    manage("keystone-manage", keystone, "bootstrap", *bootstrap, *urls)
    manage("glance-manage", work / "glance/glance-api.conf", "db_sync")


class Identity:
    """Calls of Keystone's API."""

    def __init__(self, work):
        os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(work / "keystone")
        os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(work / "keystone/keystone.conf")
        sys.argv[1:] = []  # Keystone reads them.
        from keystone.wsgi import api
        from werkzeug.test import Client
        self.client = Client(api.application)

    def call(self, method, path, body=None, token=None):
        headers = {"X-Auth-Token": token} if token else {}
        answer = self.client.open(f"/v3{path}", method=method, json=body, headers=headers)
        if answer.status_code not in (200, 201, 204):
            sys.exit(f"{method} {path}: {answer.status} {answer.text}")
        return answer

    def login(self, user, domain, project):
        person = {"name": user, "domain": {"name": domain}, "password": settings.PASSWORD}
        scope = {"project": {"name": project, "domain": {"name": domain}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": person}}, "scope": scope}}
        return self.call("POST", "/auth/tokens", body).headers["X-Subject-Token"]


def fill(identity):
    admin = identity.login("admin", "Default", "admin")

    def create(kind, **fields):
        return identity.call("POST", f"/{kind}s", {kind: fields}, admin).json[kind]["id"]

    def grant(path):
        identity.call("PUT", path, token=admin)

    roles = {role["name"]: role["id"] for role in identity.call("GET", "/roles", token=admin).json["roles"]}
    domain = create("domain", name="egi")
    projects = {name: create("project", name=name, domain_id=domain) for name in ("ops", "dteam", "publisher")}
    users = {name: create("user", name=name, domain_id=domain, password=settings.PASSWORD) for name in PEOPLE}
    for name, project in PEOPLE.items():
        role = roles["reader" if name == "reader" else "member"]
        if project:
            grant(f"/projects/{projects[project]}/users/{users[name]}/roles/{role}")
    service = create("project", name="service", domain_id="default")
    glance = create("user", name="glance", domain_id="default", password=settings.PASSWORD)
    for role in ("service", "admin"):
        grant(f"/projects/{service}/users/{glance}/roles/{roles[role]}")
    grant(f"/system/users/{glance}/roles/{roles['reader']}")
    image = create("service", type="image", name="glance")
    place = {"service_id": image, "region_id": settings.REGION}
    endpoints = {kind: create("endpoint", interface=kind, url=settings.GLANCE, **place) for kind in ("public", "internal", "admin")}
    limits = [{**place, "resource_name": name, "default_limit": limit} for name, limit in LIMITS.items()]
    identity.call("POST", "/registered_limits", {"registered_limits": limits}, admin)
    return {"domain": domain, "projects": projects, "users": users, "people": PEOPLE, "endpoint": endpoints["public"],
            "service": image, "credentials": credentials(identity, users["publisher"])}


def credentials(identity, user):
    """Application credentials are made by their own user."""
    token = identity.login("publisher", "egi", "publisher")
    made = {}
    for name, role in (("vmcatcher", "member"), ("readonly", "reader")):
        wanted = {"name": name, "secret": settings.PASSWORD, "roles": [{"name": role}]}
        body = {"application_credential": wanted}
        answer = identity.call("POST", f"/users/{user}/application_credentials", body, token)
        made[name] = answer.json["application_credential"]["id"]
    return made


def main(work):
    prepare(work)
    made = fill(Identity(work))
    (work / "made.json").write_text(json.dumps(made, indent=1))
    for log in work.glob("*/*.log"):
        log.unlink()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).absolute())
