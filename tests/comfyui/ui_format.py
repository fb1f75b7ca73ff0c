"""From the format that the frontend saves to the one that the server runs, by what /object_info says of the nodes."""

from __future__ import annotations

WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
NOTES = ("Note", "MarkdownNote")
OURS = "LGA_"


def widgets(definition: dict) -> dict[str, dict]:
    """Inputs of a node that are set on the node itself, in their order there, with their options."""
    found = {}
    for kind in ("required", "optional"):
        for name, (type_, *rest) in definition["input"].get(kind, {}).items():
            options = rest[0] if rest else {}
            if (isinstance(type_, list) or type_ in WIDGETS) and not options.get("forceInput"):
                found[name] = options
    return found


def first_value(options: dict) -> object:
    """What a widget shows on a new node; None where the server does not say."""
    return options.get("default", next(iter(options.get("options", ())), None))


def widget_values(node: dict, definition: dict) -> dict:
    """The values of a saved node by name.

    They are saved by position alone, and two kinds of input save a second value after their own: what becomes of a
    seed after a run, and the button that uploads a picture. ComfyUI's own nodes may have more widgets at their end than
    when the file was saved; these take their defaults, as in the frontend. Ours never do without a new file.
    """
    values, named = list(node.get("widgets_values") or []), {}
    for name, options in widgets(definition).items():
        if not values and not node["type"].startswith(OURS) and (default := first_value(options)) is not None:
            named[name] = default
            continue
        if not values:
            raise ValueError(f"{where(node)} has no value for {name!r} and what follows it.")
        named[name] = values.pop(0)
        if options.get("control_after_generate", name in ("seed", "noise_seed")):
            after = values.pop(0)
            if after not in ("fixed", "increment", "decrement", "randomize"):
                raise ValueError(f"{where(node)} should say after {name!r} what becomes of it, and says {after!r}.")
        if options.get("image_upload") and values:
            values.pop(0)
    if values:
        raise ValueError(f"{where(node)} has {values} left over; its widgets are {list(named)}.")
    return named


def api_format(workflow: dict, object_info: dict) -> dict:
    """The prompt that the frontend would post for a workflow without groups, reroutes and switched-off nodes."""
    sources = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] in NOTES:
            continue
        if node["type"] not in object_info:
            raise ValueError(f"{where(node)} is not a node that the server knows.")
        if node.get("mode"):
            raise ValueError(f"{where(node)} is switched off (mode {node['mode']}).")
        inputs = widget_values(node, object_info[node["type"]])
        linked = {slot["name"]: sources[slot["link"]] for slot in node.get("inputs", []) if slot["link"] is not None}
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs | linked}
    return prompt


def where(node: dict) -> str:
    return f"Node {node['id']} ({node['type']})"
