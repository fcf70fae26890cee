"""Where each sequence is cut: what may be learnt from, what is validated on, what is tested on."""
