# SPDX-License-Identifier: Apache-2.0
# The target `docs`: the site of the public headers, in docs/html of the build folder.
find_program(SEGUE_DOXYGEN doxygen DOC "doxygen, for the target docs")
mark_as_advanced(SEGUE_DOXYGEN)
if(SEGUE_DOXYGEN)
  add_custom_target(docs
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/docs
    COMMAND ${CMAKE_COMMAND} -E env SEGUE_DOCS_OUTPUT=${PROJECT_BINARY_DIR}/docs
      SEGUE_VERSION=${PROJECT_VERSION} ${SEGUE_DOXYGEN} docs/Doxyfile
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    VERBATIM)
endif()
