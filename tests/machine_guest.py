"""A guest of two hundred bytes: a boot sector that does what a system does, as far as a hypervisor can tell.

It greets on the serial port, goes off when the power button is pressed, lets go of devices that are to be unplugged,
and then does as it is told on the serial port, by a letter: `p` power off, `r` reset, `w` write the disk's second
sector (answers `!`); everything else it says back. The machine code below was assembled from:

    cli; xor ax,ax; mov ds,ax; mov es,ax; mov ss,ax; mov sp,0x7c00; cld; mov [0x7dfd],dl; sti
    mov dx,0x602; mov ax,0x100; out dx,ax                    ; PM1 enable: the power button
    mov si,greeting; call print
    loop:   hlt                                              ; until the next tick of the clock
            mov dx,0x600; in ax,dx; test ah,1; jnz off       ; PM1 status: was it pressed?
            mov dx,0xae10; xor eax,eax; out dx,eax           ; PCI hot plug: bus 0 ...
            mov dx,0xae04; in eax,dx; test eax,eax; jz listen  ; ... what is to be unplugged ...
            mov dx,0xae08; out dx,eax                        ; ... may go
    listen: mov dx,0x3fd; in al,dx; test al,1; jz loop
            mov dx,0x3f8; in al,dx
            cmp al,'p'; je off; cmp al,'r'; je reset; cmp al,'w'; je write; call putc; jmp loop
    off:    mov dx,0x604; mov ax,0x2000; out dx,ax; jmp loop ; PM1 control: sleep state 5
    reset:  mov al,0xfe; out 0x64,al; jmp loop               ; the keyboard controller's reset line
    write:  mov di,0x8000; mov cx,256; mov ax,'WW'; rep stosw
            mov ax,0x301; mov bx,0x8000; mov cx,2; xor dh,dh; mov dl,[0x7dfd]; int 0x13
            mov al,'!'; call putc; jmp loop
    print:  lodsb; test al,al; jz done; call putc; jmp print
    putc:   push dx; push ax; mov dx,0x3fd
    wait:   in al,dx; test al,0x20; jz wait; pop ax; mov dx,0x3f8; out dx,al; pop dx
    done:   ret
"""

from __future__ import annotations

import base64

GREETING = "hello from the guest"
_PRINTED = f"this guest is small\r\n\r\nit has a serial line\r\nand heeds its power button\r\n{GREETING}\r\n\0".encode()

_CODE = base64.b64decode(
    """
    +jHAjtiOwI7QvAB8/IgW/X37ugIGuAAB776qfOhwAPS6AAbt9sQBdTS6EK5mMcBm77oErmbtZoXAdAW6CK5m77r9A+yoAXTXuvgD
    7DxwdA08cnQSPHd0FOg+AOvCugQGuAAg7+u5sP7mZOuzvwCAuQABuFdX86u4AQO7AIC5AgAw9ooW/X3NE7Ah6AwA65CshMB0FegC
    AOv2UlC6/QPsqCB0+1i6+APuWsNoZWxsbyBmcm9tIHRoZSBndWVzdA0KAA==
"""
)


def boot_disk(size: int = 1 << 20) -> bytes:
    """A raw disk that starts the guest."""
    code = _CODE.removesuffix(f"{GREETING}\r\n\0".encode())  # what it prints stands last
    return ((code + _PRINTED).ljust(510, b"\0") + b"\x55\xaa").ljust(size, b"\0")
