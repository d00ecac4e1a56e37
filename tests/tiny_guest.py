"""A disk that boots at once into the smallest of all systems: it greets on the serial line and heeds the power button.

Machines under software emulation boot it without using any time, so that hundreds of tests can have real ones.
"""

from __future__ import annotations

GREETING = "tiny guest is up\r\n"
DISK_BYTES = 1 << 20

_START = bytes.fromhex(
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "8ed0"  # mov ss, ax
    "bc007c"  # mov sp, 0x7c00
    "be3f7c"  # mov si, greeting
    # print:
    "ac"  # lodsb
    "84c0"  # test al, al
    "7406"  # jz printed
    "baf803"  # mov dx, 0x3f8      the first serial line
    "ee"  # out dx, al
    "ebf5"  # jmp print
    # printed:
    "ba0206"  # mov dx, 0x602      PM1 enable: let the power button be noticed (ACPI 6.5, 4.8.3)
    "b80001"  # mov ax, 0x0100
    "ef"  # out dx, ax
    "fb"  # sti
    # wait:
    "f4"  # hlt                    until the next tick of the clock
    "ba0006"  # mov dx, 0x600      PM1 status
    "ed"  # in ax, dx
    "f6c401"  # test ah, 1         power button
    "74f6"  # jz wait
    "ba0406"  # mov dx, 0x604      PM1 control: sleep type 0 is off on QEMU's PIIX4
    "b80020"  # mov ax, 0x2000
    "ef"  # out dx, ax
    "ebed"  # jmp wait
)


def disk() -> bytes:
    """The disk, raw."""
    greeting = GREETING.encode() + b"\0"
    sector = _START.ljust(0x3F, b"\x90") + greeting
    return (sector.ljust(510, b"\0") + b"\x55\xaa").ljust(DISK_BYTES, b"\0")
