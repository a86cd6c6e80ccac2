"""Who decides: the controller, its policy and its workflows."""
