# The binary finds LibTorch where it was built against; a package of it is for later.
include(GNUInstallDirs)
install(TARGETS repsim RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/repsim FILES_MATCHING PATTERN "*.json")
