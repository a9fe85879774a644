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
 * Everything exported here is also on the global object, as
 * `globalThis.spacebarGateway`, together with the send functions, which there
 * take the handle first: `spacebarGateway.sendUpdatePresence(handle, …)`.
 */
import { bind } from "./global.js";

export { connect, crashForTest, hostKind, init, spawn, version } from "./gateway.js";
export type { ConnectOptions, InitOptions, SpawnOptions } from "./gateway.js";
export { GatewayHandle } from "./handle.js";
export type { CloseOptions, GuildMembers, Payload, SendMethods, SendOptions, VoiceConnection, WaitOptions } from "./handle.js";
export { GatewayError } from "./errors.js";
export type { ErrorCode } from "./errors.js";
export type { Gap, StateChange } from "./connection.js";
export type { EventInfo, ObserveOptions, Observer, ObserverObject, Unsubscribe } from "./observers.js";
export type { CoreStats as Stats, Session, State } from "./protocol.js";
export type { SpacebarGateway } from "./global.js";
export * from "./protocol.gen.js";

bind();
