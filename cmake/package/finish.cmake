# SPDX-License-Identifier: Apache-2.0
# Read by cpack when everything is installed into its folder: what only a Debian package has.
set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY})
set(doc ${root}/usr/share/doc/coffer)

file(COPY ${CPACK_COFFER_PACKAGE_FOLDER}/copyright ${CPACK_COFFER_PACKAGE_FOLDER}/changelog DESTINATION ${doc})
file(COPY ${CPACK_COFFER_PACKAGE_FOLDER}/lintian-overrides DESTINATION ${root}/usr/share/lintian/overrides)
file(RENAME ${root}/usr/share/lintian/overrides/lintian-overrides ${root}/usr/share/lintian/overrides/coffer)

# Debian's own packages are stripped the same way.
file(GLOB programs ${root}/usr/bin/* ${root}/usr/sbin/* ${root}/usr/libexec/coffer/*)
foreach(program ${programs})
  file(READ ${program} magic LIMIT 4 HEX)
  if(magic STREQUAL "7f454c46")
    execute_process(COMMAND strip --remove-section=.comment --remove-section=.note ${program}
      COMMAND_ERROR_IS_FATAL ANY)
  endif()
endforeach()

file(GLOB_RECURSE texts ${root}/usr/share/man/*)
list(APPEND texts ${doc}/changelog)
foreach(text ${texts})
  execute_process(COMMAND gzip -9nf ${text} COMMAND_ERROR_IS_FATAL ANY)
endforeach()

# Whatever umask the sources were checked out with.
file(GLOB_RECURSE files LIST_DIRECTORIES true ${root}/*)
foreach(file ${files})
  if(IS_DIRECTORY ${file})
    file(CHMOD ${file} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  elseif(file MATCHES "^${root}/(usr/share|lib|usr/lib|etc)/")
    file(CHMOD ${file} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  endif()
endforeach()
