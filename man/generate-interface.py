#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the manual page of a D-Bus API from its interface files, whose comments are its text.

generate-interface.py BUS-NAME DESCRIPTION SEE-ALSO FILE… prints the page. A comment stands directly before what it is about.
"""
import sys
from xml.dom import minidom


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def squeeze(text):
    return " ".join(text.split())


def arguments(member, direction, default):
    return [a for a in member.getElementsByTagName("arg") if (a.getAttribute("direction") or default) == direction]


def signature(member):
    """Name(s filename, s content) -> (b valid)"""
    def listed(args):
        return ", ".join(f"{a.getAttribute('type')} {a.getAttribute('name')}" for a in args)

    kind, name = member.tagName, member.getAttribute("name")
    if kind == "property":
        access = {"read": "read\\-only", "readwrite": "writable", "write": "write\\-only"}[member.getAttribute("access")]
        return f"{escape(member.getAttribute('type'))} \\fB{escape(name)}\\fR ({access})"
    if kind == "signal":
        return f"\\fB{escape(name)}\\fR({escape(listed(arguments(member, 'out', 'out')))})"
    text = f"\\fB{escape(name)}\\fR({escape(listed(arguments(member, 'in', 'in')))})"
    results = arguments(member, "out", "in")
    return text + (f" \\-> ({escape(listed(results))})" if results else "")


def comments_before(node):
    """The comment directly in front of an element, or None."""
    node = node.previousSibling
    while node is not None and node.nodeType == node.TEXT_NODE and not node.data.strip():
        node = node.previousSibling
    return squeeze(node.data) if node is not None and node.nodeType == node.COMMENT_NODE else None


def write_interface(interface, out):
    name = interface.getAttribute("name")
    out.append(f".SH {escape(name.upper())}")
    for kind, heading in (("property", "Properties"), ("method", "Methods"), ("signal", "Signals")):
        members = [n for n in interface.childNodes if n.nodeType == n.ELEMENT_NODE and n.tagName == kind]
        if not members:
            continue
        out.append(f".SS {heading}")
        for member in members:
            out += [".TP", signature(member)]
            text = comments_before(member)
            if text:
                out.append(escape(text))


def main():
    bus_name, description, see_also, *files = sys.argv[1:]
    out = [f'.TH "{escape(bus_name.upper())}" 5 "" "Service Status Indicator" "D\\-Bus Interfaces"',
           ".SH NAME", f"{escape(bus_name)} \\- {escape(description)}", ".SH DESCRIPTION"]
    interfaces = []
    for path in files:
        document = minidom.parse(path)
        out.append(".PP")
        root = document.documentElement
        text = comments_before(root)
        if text:
            out.append(escape(text))
        if root.getAttribute("name"):
            out += [".PP", "Object path:", f".I {escape(root.getAttribute('name'))}"]
        interfaces += document.getElementsByTagName("interface")
    for interface in interfaces:
        write_interface(interface, out)
    out += [".SH SEE ALSO"]
    pages = see_also.split(",")
    for i, page in enumerate(pages):
        name, section = page[:-1].split("(")
        out.append(f".BR {escape(name)} ({section})" + ("," if i + 1 < len(pages) else ""))
    # A paragraph that begins the text is one too many.
    out = [line for i, line in enumerate(out) if not (line == ".PP" and out[i - 1].startswith(".SH"))]
    print("\n".join(out))


main()
