"""An independent client, openstacksdk, for the tests: it reads images, and does what people and tenants do.

usage: client.py CLOUD ACTION [JSON]

CLOUD is one of clouds.yaml, which OS_CLIENT_CONFIG_FILE names. JSON is an object with the arguments of the action, which is a
function of this file. Prints its result as JSON; an HTTP error is {"status": 403, "text": "..."}.
"""

import json
import sys

import openstack
from openstack import exceptions


def members(cloud, id):
    """Project by project: the status. None where the cloud does not tell."""
    try:
        return {member.member_id or member.id: member.status for member in cloud.image.members(id)}
    except exceptions.ForbiddenException:
        return None


def show(cloud, id):
    """An image by the names of openstacksdk, with its members."""
    image = cloud.image.get_image(id)
    return {**image.to_dict(computed=False), "members": members(cloud, id)}


def show_all(cloud, ids):
    return [show(cloud, id) for id in ids]


def images(cloud, **query):
    """All pages of a list, each image with its members."""
    return [{**image.to_dict(computed=False), "members": members(cloud, image.id)} for image in cloud.image.images(**query)]


def overview(cloud):
    """All images of the project, hidden ones too, with the members of those that are shared."""
    project = cloud.current_project_id
    lists = [cloud.image.images(owner=project, os_hidden=hidden, limit=1000) for hidden in (False, True)]
    every = [image for images in lists for image in images]
    shared = {image.id: members(cloud, image.id) for image in every if image.visibility == "shared"}
    return [{**image.to_dict(computed=False), "members": shared.get(image.id, {})} for image in every]


def create(cloud, data=None, **document):
    """An image from its document; with data, a text, which is uploaded."""
    answer = cloud.image.post("/images", json=document)
    exceptions.raise_from_response(answer)
    id = answer.json()["id"]
    if data is not None:
        upload(cloud, id, data)
    return id


def upload(cloud, id, data):
    headers = {"Content-Type": "application/octet-stream"}
    exceptions.raise_from_response(cloud.image.put(f"/images/{id}/file", data=data.encode(), headers=headers))


def patch(cloud, id, changes):
    """Changes as JSON patch."""
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    exceptions.raise_from_response(cloud.image.patch(f"/images/{id}", data=json.dumps(changes), headers=headers))


def download(cloud, id):
    """The size and the SHA-512 of the bytes."""
    import hashlib
    answer = cloud.image.get(f"/images/{id}/file")
    exceptions.raise_from_response(answer)
    return {"size": len(answer.content), "sha512": hashlib.sha512(answer.content).hexdigest()}


def deactivate(cloud, id):
    cloud.image.deactivate_image(id)


def reactivate(cloud, id):
    cloud.image.reactivate_image(id)


def delete(cloud, id):
    cloud.image.delete_image(id, ignore_missing=False)


def share(cloud, id, project):
    """Adds a member, which is pending then."""
    cloud.image.add_member(id, member_id=project)


def answer_share(cloud, id, project, status):
    """As the member: accepted or rejected."""
    cloud.image.update_member(project, id, status=status)


def unshare(cloud, id, project):
    cloud.image.remove_member(project, image=id, ignore_missing=False)


def limit(cloud, name, value):
    """As an administrator: the quota of all projects."""
    [registered] = cloud.identity.registered_limits(resource_name=name)
    cloud.identity.update_registered_limit(registered, default_limit=value)


def create_project(cloud, name):
    """As an administrator."""
    return cloud.identity.create_project(name=name).id


def delete_project(cloud, id):
    cloud.identity.delete_project(id, ignore_missing=False)


def revoke(cloud, token):
    """As an administrator: ends the life of a token."""
    exceptions.raise_from_response(cloud.identity.delete("/auth/tokens", headers={"X-Subject-Token": token}))


def main(name, action, arguments="{}"):
    cloud = openstack.connect(cloud=name)
    try:
        result = globals()[action](cloud, **json.loads(arguments))
    except exceptions.HttpException as error:
        result = {"status": error.response.status_code, "text": error.response.text}
    json.dump(result, sys.stdout, default=str)


if __name__ == "__main__":
    main(*sys.argv[1:])
