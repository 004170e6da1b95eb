"""Writes the schemas of this folder: pip install ocsf-json-schema==1.2.0; python3 testdata/ocsf/schemas.py"""

import json
import pathlib

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.6.0"
OTHERS_WORK = ("title", "description", "deprecated", "pattern")


def only_facts(node, is_names=False):
    if isinstance(node, list):
        return sorted((only_facts(item) for item in node), key=json.dumps)
    if not isinstance(node, dict):
        return node
    return {
        name: only_facts(value, name in ("properties", "$defs") and not is_names)
        for name, value in sorted(node.items())
        if is_names or name not in OTHERS_WORK
    }


def lines(schema):
    """One attribute or object a line."""
    parts = []
    for name, value in schema.items():
        text = json.dumps(value)
        if name in ("properties", "$defs"):
            entries = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            text = "{\n" + ",\n".join(entries) + "\n}"
        parts.append(f"{json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


ocsf = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=VERSION))
for name in ("authentication", "api_activity", "base_event"):
    schema = only_facts(ocsf.get_class_schema(class_name=name, profiles=[]))
    pathlib.Path(__file__).with_name(name + ".schema.json").write_text(lines(schema))
