# Writes the man pages and the completions of `program` to the folder `made`, and installs them: pages to `man`,
# completions below `share`. Runs while installing.
cmake_policy(VERSION 3.25)

function(say file)
  execute_process(COMMAND ${program} ${ARGN} OUTPUT_FILE ${file} RESULT_VARIABLE failed ERROR_VARIABLE complaint)
  if(failed)
    message(FATAL_ERROR "${program} ${ARGN}: ${complaint}")
  endif()
endfunction()

file(REMOVE_RECURSE ${made})
file(MAKE_DIRECTORY ${made})
say(${made}/repsim.1 --man)
file(READ ${made}/repsim.1 page)
string(REGEX MATCHALL "\\.BR repsim[\\]-[a-z]+" references "${page}")  # SEE ALSO names every subcommand
foreach(reference IN LISTS references)
  string(REGEX REPLACE ".*-" "" subcommand "${reference}")
  say(${made}/repsim-${subcommand}.1 ${subcommand} --man)
endforeach()
foreach(shell bash zsh fish)
  say(${made}/repsim.${shell} completion ${shell})
endforeach()

file(GLOB pages ${made}/*.1)
file(INSTALL ${pages} DESTINATION ${man} TYPE FILE)
file(INSTALL ${made}/repsim.bash DESTINATION ${share}/bash-completion/completions TYPE FILE RENAME repsim)
file(INSTALL ${made}/repsim.fish DESTINATION ${share}/fish/vendor_completions.d TYPE FILE)
# Debian's zsh has a folder of its own for packages.
if(CMAKE_INSTALL_PREFIX MATCHES "/usr$")
  file(INSTALL ${made}/repsim.zsh DESTINATION ${share}/zsh/vendor-completions TYPE FILE RENAME _repsim)
else()
  file(INSTALL ${made}/repsim.zsh DESTINATION ${share}/zsh/site-functions TYPE FILE RENAME _repsim)
endif()
