// Observes READY, with an observer that is an object of its own. The same in Go
// is main.go beside this file.
import { events, identifyCommon, spawn } from "../../dist/index.js";

const { url, token } = await (await fetch("/embedded.json")).json();

class Greeter {
  constructor(out) {
    this.out = out;
  }
  update(ready, event) {
    this.out.textContent = `${event.type}: hello ${ready.user.username}, you are in ${ready.guilds.length} guilds`;
  }
}

const handle = await spawn(url);
handle.observe(events.session.ready, new Greeter(document.getElementById("out")));
await handle.sendIdentify(identifyCommon(token));
