#pragma once

#include <chrono>

namespace repsim::cli {

/// Makes what comes from outside an error or a request to stop instead of a sudden end: writing into a closed pipe
/// (SIGPIPE) and beyond the limit on the size of files (SIGXFSZ) fails in the call that writes. Streams that are closed
/// are replaced, so that no file of ours gets the number of stderr. An exit() or terminate() inside a library leaves no
/// temporary files. Call it first.
void survive_surroundings();

/// SIGINT (Ctrl-C), SIGTERM, SIGHUP (a closed terminal; not under nohup) and SIGXCPU (a limit on CPU time) ask the
/// running command to stop at its next frame. The second one of them removes temporary files and ends the process at
/// once, the third one does not even do that. Repeated SIGXCPU, which comes once a second, counts once.
/// @param grace  how long the first one waits for the next frame. Then temporary files are removed, and the process
/// ends
///               as one that was interrupted.
void install_stop_signals(bool log_json, std::chrono::seconds grace);

[[nodiscard]] bool stop_signal_came();

}  // namespace repsim::cli
