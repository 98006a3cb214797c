//! An ElevenLabs workspace that runs here: the demo, rehearsals and the tests all use this one.
