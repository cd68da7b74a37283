"""An adapter that speaks the VC-API, so that independent suites can try issuing and verifying."""
