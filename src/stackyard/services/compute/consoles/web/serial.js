import { Terminal } from "./xterm/xterm.mjs";
import { FitAddon } from "./xterm/addon-fit.mjs";
import { socketAddress } from "./address.js";

const status = document.getElementById("status");
const terminal = new Terminal({ convertEol: false, cursorBlink: true });
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(document.getElementById("screen"));
fit.fit();
window.addEventListener("resize", () => fit.fit());

const socket = new WebSocket(socketAddress(), ["binary"]);
const encoder = new TextEncoder();
socket.binaryType = "arraybuffer";
socket.addEventListener("open", () => { status.textContent = "Connected"; terminal.focus(); });
socket.addEventListener("message", (event) => terminal.write(new Uint8Array(event.data)));
socket.addEventListener("close", () => {
    status.textContent = "There is no connection: the session has ended, or the address has expired.";
});
terminal.onData((text) => { if (socket.readyState === WebSocket.OPEN) { socket.send(encoder.encode(text)); } });
