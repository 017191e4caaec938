//! Asks the Docker Engine where an Erlang node is.
