/**
 * spacebar-gateway: a client for the Gateway of the Spacebar protocol.
 *
 * ```ts
 * import { connect } from "spacebar-gateway";
 *
 * const handle = await connect("wss://gateway.example", {
 *   token,
 *   observe: { MESSAGE_CREATE: (message) => console.log(message.content) },
 * });
 * ```
 *
 * Everything exported here, but for what only tests need, is also on the global
 * object, as `globalThis.spacebarGateway`, together with the functions that send and those
 * that wait for an answer, which there take the handle first:
 * `spacebarGateway.sendUpdatePresence(handle, …)`.
 */
import { bind } from "./global.js";

export { connect, hostKind, init, spawn, version } from "./gateway.js";
/** @internal For the package's own tests. */
export { crashForTest, inspectForTest } from "./gateway.js";
export type { ConnectOptions, InitOptions, ObserversByName, SpawnOptions } from "./gateway.js";
export { GatewayHandle } from "./handle.js";
export type { CloseOptions, Payload, SendMethods } from "./handle.js";
export type { GuildMembers, RequestMethods, SendOptions, SpeedTest, StreamConnection, VoiceConnection, WaitOptions } from "./requests.js";
export * from "./user.js";
export { watchAutoModerationRule, watchChannel, watchGuild, watchMember, watchRole, watchThread, watchUser, watchVoiceState } from "./watch.js";
export type { Limited, Watch, Watchable, Watched, WatchGuildOptions } from "./watch.js";
export type { GuildParts, WatchedGuild, WatchedObjects } from "./watch.gen.js";
export { GatewayError, PayloadError, RateLimitError } from "./errors.js";
export type { ErrorCode } from "./errors.js";
export type { Gap, Logger, StateChange, Stats } from "./connection.js";
export type { EventInfo, ObserveOptions, Observer, ObserverObject, Unsubscribe } from "./observers.js";
export type { Session, State } from "./protocol.js";
export type { SpacebarGateway } from "./global.js";
export * from "./protocol.gen.js";

bind();
