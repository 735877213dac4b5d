# weir_component(NAME FOLDERS folder... [EMBEDS source...] [USES component...] [LINK target...])
#
# One installable library, compiled once and linked twice:
#   NAME            what users link: shared unless BUILD_SHARED_LIBS says otherwise, weir_* only
#   NAME_internal   static, for tests and the tool: the same objects, wr_* within reach
# EMBEDS: stateless sources of another component that a shared NAME takes a hidden copy of, since
# shared libraries show each other weir_* only.
# A program links one family or the other, never both: two copies of the state would disagree.

function(weir_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "FOLDERS;EMBEDS;USES;LINK")
  list(TRANSFORM arg_FOLDERS PREPEND ${PROJECT_SOURCE_DIR}/)
  list(TRANSFORM arg_FOLDERS APPEND /*.c)
  file(GLOB sources CONFIGURE_DEPENDS ${arg_FOLDERS})
  if(NOT sources)
    return()
  endif()

  add_library(${name}_objects OBJECT ${sources})
  weir_build_options(${name}_objects)
  target_include_directories(${name}_objects PRIVATE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  # A thread-local read costs one instruction; the price: dlopen() needs room in the static block,
  # which glibc keeps for such libraries.
  target_compile_options(${name}_objects PRIVATE -ftls-model=initial-exec)
  target_link_libraries(${name}_objects PRIVATE ${arg_LINK})

  add_library(${name} $<TARGET_OBJECTS:${name}_objects>)
  if(BUILD_SHARED_LIBS AND arg_EMBEDS)
    list(TRANSFORM arg_EMBEDS PREPEND ${PROJECT_SOURCE_DIR}/)
    target_sources(${name} PRIVATE ${arg_EMBEDS})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  endif()
  add_library(${name}_internal STATIC EXCLUDE_FROM_ALL $<TARGET_OBJECTS:${name}_objects>)
  set_target_properties(${name} ${name}_internal PROPERTIES LINKER_LANGUAGE C)

  string(REGEX REPLACE "^weir-" "" alias ${name})
  add_library(weir::${alias} ALIAS ${name})
  set_target_properties(${name} PROPERTIES
    EXPORT_NAME ${alias} VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  weir_build_options(${name})
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
  target_include_directories(${name}_internal PUBLIC
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})

  target_link_libraries(${name} PUBLIC ${arg_USES} PRIVATE ${arg_LINK})
  list(TRANSFORM arg_USES APPEND _internal)
  target_link_libraries(${name}_internal PUBLIC ${arg_USES} ${arg_LINK})
endfunction()
