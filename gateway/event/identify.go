package event

// IdentifyDefault returns an Identify with the default capabilities and as few
// properties as servers take. The token is left to set.
func IdentifyDefault() Identify {
	return Identify{Properties: Some(minimalProperties()), Capabilities: Some(DefaultCapabilities)}
}

// IdentifyCommon returns an Identify with the default capabilities and the
// properties of a widespread browser, the same on every machine: it tells nothing
// about the user's own. The token is left to set.
func IdentifyCommon() Identify {
	return Identify{Properties: Some(commonProperties()), Capabilities: Some(DefaultCapabilities)}
}

// IdentifyAll is IdentifyCommon with all capabilities instead of the default ones.
func IdentifyAll() Identify {
	return Identify{Properties: Some(commonProperties()), Capabilities: Some(AllCapabilities)}
}
