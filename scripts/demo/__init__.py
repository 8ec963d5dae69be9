"""How the embedded demo's detectors are made: pseudo-labels, architectures, training. Entry: make_demo_models.py."""
