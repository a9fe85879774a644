// Command empty does nothing: it is what every Go program in a browser weighs,
// and takes to start.
package main

func main() {}
