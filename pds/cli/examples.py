"""An example for each command whose help text does not have one in its sentences.

They stand under ``Example`` in the help, and a test puts each through the parser: what they name
exists, and is written as the command takes it.
"""

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, str]] = {
    "activity": "pds activity --limit 20",
    "agent unit": "pds agent unit > ~/.config/systemd/user/pds-agent.service",
    "backup": "pds backup vault.backup --rehearse",
    "company cancel": "pds company --data shop cancel 774a631f",
    "company collect": "pds company --data shop collect",
    "company data": "pds company --data shop data did:key:z6Mk… delivery",
    "company did": "pds company --data shop did > did.json",
    "company expire": "pds company --data shop expire",
    "company grant": "pds company --data shop grant delivery > grant.json",
    "company grants": "pds company --data shop grants",
    "company held": "pds company --data shop held",
    "company init": "pds company --data shop init --did did:web:shop.example --name Shop"
    " --address '6720 Szeged' --contact mailto:info@shop.example"
    " --data-protection-contact mailto:dpo@shop.example --relay https://relay.example",
    "company recover": "pds company --data shop recover",
    "company redeem": "pds company --data shop redeem delivery",
    "company relay": "pds company --data shop relay --token-file registration-token",
    "company request": "pds company --data shop request terms.json --valid-for 14d",
    "company requests": "pds company --data shop requests",
    "company serve": "pds company --data shop serve --port 8443 --dev-tls",
    "data attachments": "pds data attachments 4kTz",
    "data category list": "pds data category list",
    "data category remove": "pds data category remove recipes",
    "data delete": "pds data delete 4kTz",
    "data detach": "pds data detach 9fQx",
    "data history": "pds data history 4kTz",
    "data mapping list": "pds data mapping list",
    "data undo": "pds data undo 5bQwT2hYx0aVnJrLkE8u1g",
    "decide": "pds decide --accept delivery --refuse marketing --follow delivery",
    "grant": "pds grant delivery > grant.json",
    "help": "pds help data add",
    "identity create": "pds identity create",
    "identity deactivate": "pds identity deactivate",
    "identity export": "pds identity export did.jsonl",
    "identity publish": "pds identity publish",
    "identity recover": "pds identity recover did.jsonl",
    "identity rotate": "pds identity rotate",
    "identity show": "pds identity show",
    "identity sign": "pds identity sign note.json",
    "init": "pds init --relay https://relay.example --kit-file kit.html",
    "key list": "pds key list",
    "key rotate": "pds key rotate --kit-file new-kit.html",
    "kit": "pds kit --shares",
    "kit print": "pds kit print kit.html",
    "lock": "pds lock",
    "open": "pds open 'https://relay.example/r/…#…'",
    "passphrase": "pds passphrase",
    "relay restored": "pds relay restored --data relay",
    "relay serve": "pds relay serve --data relay --url https://relay.example",
    "relay use": "pds relay use https://relay.example",
    "requests": "pds requests --reopen shop.example marketing",
    "sharing": "pds sharing",
    "status": "pds status",
    "sync": "pds sync",
    "vcapi serve": "pds vcapi serve --port 8081",
    "verify": "pds verify grant.json --status status.json",
    "withdraw": "pds withdraw delivery",
}
