# Headers, libraries, the CMake package `weir` with its components, and one pkg-config file each.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weir)
set(WEIR_IS_STATIC 1)
if(BUILD_SHARED_LIBS)
  set(WEIR_IS_STATIC 0)
endif()

# Paths in .pc files are relative to the file, so that an installed tree may move; an absolute
# CMAKE_INSTALL_*DIR is kept as it is.
foreach(kind LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE ${CMAKE_INSTALL_${kind}})
    set(PC_${kind} ${CMAKE_INSTALL_${kind}})
  else()
    set(PC_${kind} "\${prefix}/${CMAKE_INSTALL_${kind}}")
  endif()
endforeach()

file(RELATIVE_PATH PC_UP "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")

# weir_install_component(NAME DESCRIPTION REQUIRES PRIVATE_LIBS)
function(weir_install_component name description requires private_libs)
  if(NOT TARGET ${name})
    return()
  endif()
  install(TARGETS ${name} EXPORT ${name}Targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT ${name}Targets NAMESPACE weir:: DESTINATION ${package_dir})
  set(PC_NAME ${name})
  set(PC_DESCRIPTION ${description})
  set(PC_REQUIRES ${requires})
  set(PC_PRIVATE_LIBS ${private_libs})
  configure_file(cmake/component.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

weir_install_component(weir "${PROJECT_DESCRIPTION}" "" "-lurcu-bp -lurcu-common -lck -lm -pthread")
weir_install_component(weir-testing "Manual clock and scripted random for testing with weir" weir "")
weir_install_component(weir-config "YAML configuration files for weir" weir "-lyaml")

install(DIRECTORY include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(TARGET weir-tool)
  install(TARGETS weir-tool)
endif()
file(GLOB man_pages CONFIGURE_DEPENDS docs/man/*.[1357])
foreach(page ${man_pages})
  string(REGEX MATCH "[1357]$" section ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

configure_package_config_file(cmake/weirConfig.cmake.in ${PROJECT_BINARY_DIR}/weirConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may break what the one before it promised.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weirConfig.cmake ${PROJECT_BINARY_DIR}/weirConfigVersion.cmake
  DESTINATION ${package_dir})
