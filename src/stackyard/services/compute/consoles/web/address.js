// Where this page's console is: the `path` of its own address, below the same host.
export function socketAddress() {
    const path = new URLSearchParams(window.location.search).get("path") || "";
    const url = new URL("/" + path.replace(/^\/+/, ""), window.location.href);
    url.protocol = window.location.protocol === "https:" ? "wss:" : "ws:";
    return url.href;
}
