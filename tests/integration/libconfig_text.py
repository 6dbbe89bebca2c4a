"""Writes Python values in libconfig's syntax."""


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def value(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v) if -2**31 <= v < 2**31 else f"{v}L"
    if isinstance(v, float):
        return repr(v)
    if isinstance(v, str):
        return quote(v)
    if isinstance(v, dict):
        return "{ " + " ".join(f"{key} = {value(one)};" for key, one in v.items()) + " }"
    if isinstance(v, list):
        if v and isinstance(v[0], dict):
            return "( " + ", ".join(value(one) for one in v) + " )"
        return "[ " + ", ".join(value(one) for one in v) + " ]"
    raise TypeError(type(v))


def settings(mapping):
    """A whole file."""
    return "".join(f"{key} = {value(one)};\n" for key, one in mapping.items() if one is not None)
