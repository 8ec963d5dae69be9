# Makes a source file of the templates in a folder, so that the program needs no files beside it.
#   repsim_embed_templates(TARGET FOLDER [FOLDER ...]): adds the file to TARGET; it defines template_files() of
#   FOLDER/../template_files.hpp, FOLDER being the first one
# Run as a script, this file writes the source file: cmake -DTEMPLATES=a.html,b.html -DOUT=FILE -P EmbedTemplates.cmake

function(repsim_embed_templates target folder)
  set(templates "")
  foreach(one IN ITEMS ${folder} ${ARGN})
    file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${one}/*.html ${PROJECT_SOURCE_DIR}/${one}/*.css
         ${PROJECT_SOURCE_DIR}/${one}/*.xml ${PROJECT_SOURCE_DIR}/${one}/*.js)
    list(APPEND templates ${found})
  endforeach()
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded_templates.cpp)
  list(JOIN templates "," joined)
  add_custom_command(OUTPUT ${out} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DTEMPLATES=${joined} -DOUT=${out} -P ${PROJECT_SOURCE_DIR}/cmake/EmbedTemplates.cmake
    DEPENDS ${templates} ${PROJECT_SOURCE_DIR}/cmake/EmbedTemplates.cmake)
  target_sources(${target} PRIVATE ${out})
  set_source_files_properties(${out} PROPERTIES INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/${folder}/..
    SKIP_PRECOMPILE_HEADERS ON SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE)
  string(REPLACE "," ";" TEMPLATES "${TEMPLATES}")
  set(entries "")
  foreach(template IN LISTS TEMPLATES)
    file(READ ${template} text)
    cmake_path(GET template FILENAME name)
    string(APPEND entries "    {\"${name}\", R\"template(${text})template\"},\n")
  endforeach()
  list(LENGTH TEMPLATES count)
  file(WRITE ${OUT} "#include <array>\n\n#include \"template_files.hpp\"\n\nnamespace repsim::report {\nnamespace {\n\n"
    "constexpr std::array<TemplateFile, ${count}> kTemplateFiles{{\n${entries}}};\n\n}  // namespace\n\n"
    "std::span<const TemplateFile> template_files() { return kTemplateFiles; }\n\n}  // namespace repsim::report\n")
endif()
