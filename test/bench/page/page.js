// What the benchmark runs in its pages.

import { frames } from "./frames.js";
import { dial } from "./ours.js";
import { byHandles, byObservers, bySize } from "./growth.js";
import { ready, small } from "./hot.js";
import { start } from "./start.js";
import { closeSocket, connectSocket, finishSocket, heap } from "./socket.js";

globalThis.bench = { ready, small, byHandles, byObservers, bySize, start, frames, dial, closeSocket, connectSocket, finishSocket, heap };
