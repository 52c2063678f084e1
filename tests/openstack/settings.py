"""The settings of Keystone and Glance in a directory, and how a client reaches them.

usage: settings.py DIRECTORY KEYSTONE-URL GLANCE-URL limits|no-limits

DIRECTORY is a copy of what template.py made. Writes keystone/keystone.conf, glance/glance-api.conf, clouds.yaml, access.json,
login.json, and puts the addresses into the catalogue.
"""

import json
import pathlib
import sqlite3
import sys

PASSWORD = "test-only-password"
REGION = "RegionOne"
# What the catalogue has until the addresses are known. Such names never resolve (RFC 6761).
KEYSTONE = "http://keystone.invalid"
GLANCE = "http://glance.invalid"


def write_keystone(work):
    """Fewer rounds for passwords than in production: they are no secret."""
    (work / "keystone/keystone.conf").write_text(f"""[DEFAULT]
log_file = {work}/keystone/keystone.log
use_stderr = false
[database]
connection = sqlite:///{work}/keystone/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {work}/keystone/fernet
[credential]
key_repository = {work}/keystone/credential
[identity]
password_hash_rounds = 4
[cache]
enabled = false
""")


def write_glance(work, keystone, glance, endpoint, limits):
    """web-download may fetch from any port of 127.0.0.1: an empty list of ports allows all."""
    user = f"""auth_url = {keystone}/v3
auth_type = password
username = glance
password = {PASSWORD}
user_domain_name = Default"""
    paste = pathlib.Path(sys.prefix) / "etc/glance/glance-api-paste.ini"
    (work / "glance/glance-api.conf").write_text(f"""[DEFAULT]
log_file = {work}/glance/glance.log
use_stderr = false
enabled_backends = local:file
enabled_import_methods = [glance-direct,web-download,copy-image]
node_staging_uri = file://{work}/glance/staging
worker_self_reference_url = {glance}
use_keystone_limits = {str(limits).lower()}
[glance_store]
default_backend = local
[local]
filesystem_store_datadir = {work}/glance/store
[os_glance_staging_store]
filesystem_store_datadir = {work}/glance/staging
[os_glance_tasks_store]
filesystem_store_datadir = {work}/glance/tasks
[database]
connection = sqlite:///{work}/glance/glance.db?timeout=60
sqlite_synchronous = false
[paste_deploy]
flavor = keystone
config_file = {paste}
[keystone_authtoken]
{user}
project_name = service
project_domain_name = Default
www_authenticate_uri = {keystone}/v3
service_token_roles_required = true
[oslo_limit]
{user}
system_scope = all
endpoint_id = {endpoint}
[import_filtering_opts]
allowed_schemes = [http,https]
allowed_ports = []
allowed_hosts = [127.0.0.1]
""")


def clouds(keystone, made):
    """One cloud for each user, as openstacksdk reads them, and two with an application credential."""
    def person(user, project, domain="egi"):
        names = {"username": user, "password": PASSWORD, "project_name": project}
        domains = {"user_domain_name": domain, "project_domain_name": domain}
        return {"region_name": REGION, "auth": {"auth_url": f"{keystone}/v3", **names, **domains}}

    def credential(name):
        secret = {"application_credential_id": made["credentials"][name], "application_credential_secret": PASSWORD}
        return {"region_name": REGION, "auth_type": "v3applicationcredential", "auth": {"auth_url": f"{keystone}/v3", **secret}}

    people = {user: person(user, project) for user, project in made["people"].items() if project}
    return {"admin": person("admin", "admin", "Default"), **people, **{name: credential(name) for name in made["credentials"]}}


def write_private(path, content):
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1))


def main(work, keystone, glance, limits):
    made = json.loads((work / "made.json").read_text())
    with sqlite3.connect(work / "keystone/keystone.db") as database:
        for before, after in ((f"{KEYSTONE}/v3", f"{keystone}/v3"), (GLANCE, glance)):
            database.execute("UPDATE endpoint SET url = ? WHERE url = ?", (after, before))
    write_keystone(work)
    write_glance(work, keystone, glance, made["endpoint"], limits)
    write_private(work / "clouds.yaml", {"clouds": clouds(keystone, made)})  # JSON is YAML.
    write_private(work / "access.json", {**made, "password": PASSWORD, "region": REGION})
    credential = {"id": made["credentials"]["vmcatcher"], "secret": PASSWORD}
    identity = {"methods": ["application_credential"], "application_credential": credential}
    write_private(work / "login.json", {"auth": {"identity": identity}})


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "limits")
