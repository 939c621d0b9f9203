"""What docs/rtl.md says of names and style, read from the sources: one module a file with a comment above it, types, generate
blocks, instances, and how their ports are connected."""

import re

import design

MODULE = re.compile(r"^(module|package) (\w+)", re.M)
# A signal, a part of one, a parameter or a constant; a cast of one; and a concatenation of these.
PART = re.compile(r"\w*'?\w*|'[01]|[\w.]+(\[[^\]]*\])*(\.\w+(\[[^\]]*\])*)*|\w+'\([\w.\[\]:]+\)|\$bits\(\w+\)")


def closing(text, at):
    """Where the parenthesis that opens at `at` ends."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if depth == 0:
            return i
    return len(text)


def split(text):
    """Parts of a list, at the commas outside of all parentheses."""
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] in "([{":
            at = closing(text, at)
        elif text[at] == ",":
            parts.append(text[start:at].strip())
            start = at + 1
        at += 1
    return [part for part in (*parts, text[start:].strip()) if part]


def plain(signal):
    """Whether a connection needs no name of its own."""
    if signal.startswith("{") and closing(signal, 0) == len(signal) - 1:
        return all(plain(part) for part in split(signal[1:-1]))
    return PART.fullmatch(signal) is not None


def instances(text, modules):
    """Instances of `modules`: where they begin, module, name, and the list of their ports."""
    for found in re.finditer(r"^ *(\w+)\b *(?=#\(|\w+ *\()", text, re.M):
        if found[1] not in modules:
            continue
        at = found.end()
        if text[at] == "#":
            at = closing(text, at + 1) + 1
        name = re.compile(r"\s*(\w+)\s*\(").match(text, at)
        if name:
            end = closing(text, name.end() - 1)
            yield found.start(), found[1], name[1], split(text[name.end() : end])


def faults(path, text, modules):
    """What of a source is against a rule, each with its line."""
    found = []
    names = MODULE.findall(text)
    stem = path.rsplit("/", 1)[-1].removesuffix(".sv")
    if [name for _, name in names] != [stem]:
        found.append(f"{path}: a file holds one module or package of its name")
    if not re.match(r"//", text):
        found.append(f"{path}:1: no comment above the {names[0][0] if names else 'module'}")
    bare = re.sub(r"//[^\n]*", lambda comment: " " * len(comment[0]), text)

    def fault(at, what):
        found.append(f"{path}:{bare.count(chr(10), 0, at) + 1}: {what}")

    for block in re.finditer(r"genvar[^;]*;[^;]*;[^)]*\) begin(?: : (\w+))?", bare):
        if not (block[1] or "").startswith("gen_"):
            fault(block.start(), f"generate block '{block[1]}' is not gen_NAME")
    for name in re.finditer(r"\btypedef\b[^;{]*(?:\{[^}]*\})?\s*\b(\w+)(?:\[[^\]]*\])?;", bare):
        if not name[1].endswith("_t"):
            fault(name.start(), f"type '{name[1]}' is not NAME_t")
    for name in re.finditer(r"\b(?:parameter|localparam)\s+(?:\w+\s+|signed\s+|\[[^\]]*\]\s*)*(\w+)\s*(?:\[[^\]]*\]\s*)?=", bare):
        if name[1] != name[1].upper():
            fault(name.start(), f"parameter '{name[1]}' is not in capitals")
    for at, module, name, ports in instances(bare, modules):
        if not name.startswith("u_"):
            fault(at, f"instance '{name}' of {module} is not u_NAME")
        if ".*" in ports[1:]:
            fault(at, f"{name}: `.*` is not first")
        for port in ports:
            connection = re.fullmatch(r"\.(\w+)\s*\((.*)\)", port, re.S)
            if port != ".*" and not connection:
                fault(at, f"{name}: `{port}` is neither `.*` nor a port with its signal")
            elif connection and connection[1] == connection[2].strip():
                fault(at, f"{name}: `.*` connects '{connection[1]}'")
            elif connection and not plain(connection[2].strip()):
                fault(at, f"{name}: the expression at '{connection[1]}' needs a name")
    return found


def check():
    """All that is against a rule, and the instances that were read."""
    texts = {path: (design.RTL / path).read_text(encoding="utf-8") for path in design.sources()}
    texts |= {f"tb/{path.name}": path.read_text(encoding="utf-8") for path in sorted((design.RTL / "tb").glob("*.sv"))}
    modules = {name for text in texts.values() for kind, name in MODULE.findall(text) if kind == "module"}
    read = sum(len(list(instances(re.sub(r"//[^\n]*", "", text), modules))) for text in texts.values())
    return [fault for path, text in texts.items() for fault in faults(path, text, modules)], read
