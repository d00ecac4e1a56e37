import RFB from "./novnc/core/rfb.js";
import { socketAddress } from "./address.js";

const status = document.getElementById("status");
const rfb = new RFB(document.getElementById("screen"), socketAddress(), { wsProtocols: ["binary"] });
rfb.scaleViewport = true;

rfb.addEventListener("connect", () => { status.textContent = "Connected"; });
rfb.addEventListener("disconnect", (event) => {
    status.textContent = event.detail.clean
        ? "The session has ended."
        : "There is no connection: the address may have expired; ask for another.";
});
rfb.addEventListener("desktopname", (event) => { document.title = event.detail.name + " - noVNC"; });
document.getElementById("cad").addEventListener("click", () => { rfb.sendCtrlAltDel(); rfb.focus(); });
