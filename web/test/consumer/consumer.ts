// A program of somebody else's, who has the package's declarations only and an
// older idea of JavaScript.
import { connect, GatewayError, type Gap } from "spacebar-gateway";

const handle = await connect("wss://gateway.example", { token: "…", log: console });
handle.observe("MESSAGE_CREATE", (message) => console.log(message.content.length));
handle.observeGaps((gap: Gap) => console.log(gap.lastSeq));
const guild = handle.watch.guild("1");
guild.subscribe(() => console.log(guild.current?.name));
console.log((await handle.stats()).latency.p99, (await handle.requestGuildMembers({ guild_id: "1", query: "", limit: 0 })).members.length);
await handle.close().catch((error: unknown) => error instanceof GatewayError && console.log(error.code));
