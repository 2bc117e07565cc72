#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""schema: is the document on stdin what a JSON schema says, with no member that the schema does not know?  schema.py FILE"""
import json
import sys

import jsonschema


def close(schema):
    """A reader of the document must not mind more members; here they are what was forgotten in the schema."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema["additionalProperties"] = False
        for value in schema.values():
            close(value)
    return schema


validator = jsonschema.Draft202012Validator(close(json.load(open(sys.argv[1], encoding="utf-8"))))
errors = list(validator.iter_errors(json.load(sys.stdin)))
for error in errors:
    print(error.json_path + ":", error.message[:200])
sys.exit(bool(errors))
