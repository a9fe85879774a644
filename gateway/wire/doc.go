// Package wire turns bytes of the wire into gateway messages and back: it
// finds the envelope of a message without parsing its payload, inflates the
// transport compressions, and translates ETF to JSON text and back, so that
// everything behind it sees one form.
//
// Nothing here does I/O, knows the time, or links a JSON library: the package
// is half of the WebAssembly binary, where encoding/json alone would add a
// fifth to the download.
package wire
