# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of coffer for bash. What may stand where the cursor is, coffer itself knows ("coffer help complete").

_coffer() {
	local line=${COMP_LINE:0:COMP_POINT} words=() kept piece answer value i tab=$'\t'
	# bash cuts words at "=", "@" and ":" too; put together what no space separates.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		piece=${COMP_WORDS[i]}
		[[ ${#piece} -le ${#line} ]] || piece=$line
		if [[ $i -eq 0 || $line == [[:space:]]* ]]; then
			line=${line#"${line%%[![:space:]]*}"}
			[[ ${#piece} -le ${#line} ]] || piece=$line
			words+=("$piece")
			kept=
		else
			kept=${words[-1]}
			words[-1]+=$piece
		fi
		line=${line#"$piece"}
	done
	# Only what stands behind the last cut is replaced, and a "@" in front of it.
	[[ ! $piece =~ ^[=@:]+$ ]] || kept=${words[-1]}
	kept=${kept%@}
	COMPREPLY=()
	compopt +o filenames +o nospace 2>/dev/null
	while IFS= read -r answer; do
		case $answer in
		:files\ * | :folders\ *)
			value=${answer#:* }
			_coffer_paths "${answer%% *}" "$value" "${words[-1]#"$value"}" "$kept"
			;;
		*)
			value=${answer%%"$tab"*}
			[[ $value != *[/=:@] ]] || compopt -o nospace 2>/dev/null
			COMPREPLY+=("${value#"$kept"}")
			;;
		esac
	done < <(command coffer complete -- "${words[@]:1}" 2>/dev/null)
}

_coffer_paths() { # :files|:folders PREFIX TYPED KEPT: PREFIX stands before the path, of which TYPED is there
	local kind=-f path quoted
	[[ $1 != :folders ]] || kind=-d
	[[ $2 == *@ ]] || compopt -o filenames 2>/dev/null
	while IFS= read -r path; do
		# readline quotes names of files, but an "@" in front too.
		if [[ $2 == *@ ]]; then
			printf -v quoted '%q' "$path"
			[[ ! -d $path ]] || { quoted+=/ && compopt -o nospace 2>/dev/null; }
			path=$quoted
		fi
		path=$2$path
		COMPREPLY+=("${path#"$4"}")
	done < <(compgen "$kind" -- "$3")
}

complete -F _coffer coffer
