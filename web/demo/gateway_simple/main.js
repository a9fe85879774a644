// Opens a connection and identifies. The same in Go is main.go beside this file.
import { identifyCommon, spawn } from "../../dist/index.js";

const { url, token } = await (await fetch("/embedded.json")).json();

const handle = await spawn(url);
const ready = await handle.identify(identifyCommon(token));

document.getElementById("out").textContent = `Logged in as ${ready.user.username}`;
