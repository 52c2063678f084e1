"""Validates a CycloneDX document against the schema of its version, and says what is wrong.

usage: validate.py FILE
"""
import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
version = SchemaVersion.from_version(json.loads(text)["specVersion"])
error = JsonStrictValidator(version).validate_str(text)
sys.exit(f"{sys.argv[1]}: {error}" if error else 0)
