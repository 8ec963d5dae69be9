/* A libtorch_python.so with nothing in it: see no_python.hpp. */
